"""What both HTTP tiers share."""
