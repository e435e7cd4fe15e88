"""Commands about who may do what, and who did it: accounts of people, and the audit log."""
