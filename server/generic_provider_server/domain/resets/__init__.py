"""Reset runs: many subscriptions of a provider are brought to the state of the CRM."""
