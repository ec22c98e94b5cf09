"""The CRM's rules: the next state of a subscription after an action, or why it is refused."""
