"""What a person is told about a subscription, for the command line and the web console."""
