"""Contains the CRM's rules: they compute the next state of a subscription after an action, or
refuse the action.
"""
