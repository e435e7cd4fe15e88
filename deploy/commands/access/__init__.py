"""Commands about who may do what, and who did it: keys, accounts of people, and the audit log."""
