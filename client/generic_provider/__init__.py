"""Talk to a Generic Provider: as the CRM that changes subscriptions, or as a platform's adapter."""
