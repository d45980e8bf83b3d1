# SPDX-License-Identifier: Apache-2.0
"""Speed, measured as a ratio in one run: against what openssl does on the same core at the same time.

`make bench` prints every figure; docs/performance.md says what they mean. Nothing here is a test.
"""
