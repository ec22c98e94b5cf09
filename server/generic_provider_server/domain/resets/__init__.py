"""Contains reset runs, which bring a platform to the state of the CRM for many subscriptions."""
