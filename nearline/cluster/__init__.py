"""The worker of a cluster: the Faust app, the partitions that Kafka's group gives it, and the errors of the group."""
