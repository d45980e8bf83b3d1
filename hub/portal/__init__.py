# SPDX-License-Identifier: Apache-2.0
"""The pages people open in a browser; at present those of auditors and of who keeps the log."""
