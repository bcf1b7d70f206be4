"""The words of the gateway: types, states and records that everything else shares.

Nothing here imports another package of the gateway, touches a file or reads a clock.
"""
