"""Reset runs bring many subscriptions of a provider to the state of the CRM."""
