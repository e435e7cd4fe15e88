"""A simulated video-game shop: a real catalogue, invented shoppers, and what they do there."""
