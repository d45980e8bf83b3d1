# SPDX-License-Identifier: Apache-2.0
"""The trust list as a signed document: its versions, its publication, its import."""

__all__: list[str] = []
