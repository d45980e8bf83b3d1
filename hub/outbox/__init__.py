# SPDX-License-Identifier: Apache-2.0
"""What has still to be delivered: to whom, when next, how often it was tried, and what could not be."""

__all__: list[str] = []
