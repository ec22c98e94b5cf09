"""Contains the CRM's rules, which compute the state of a subscription after an action, or refuse
the action.
"""
