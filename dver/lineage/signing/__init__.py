"""Signed records: DSSE envelopes, ssh and PEM keys, and whom the default branch trusts."""
