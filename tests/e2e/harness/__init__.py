# SPDX-License-Identifier: MIT
"""A private world for end-to-end tests: network, Postfix, clients, sink, postpool."""
