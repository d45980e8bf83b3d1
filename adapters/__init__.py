# SPDX-License-Identifier: Apache-2.0
"""The department's side: a gateway that holds its keys and speaks to its legacy system.

gateway     the process: verifies requests, asks the adapter, signs answers; signs and submits drafts
mapping     declarative mapping between a legacy system's words and the contract's
addresses   where an adapter may connect to
soap sftp rest   the three protocols
proof       the composed disability-employment proof and its counting rules
simulators  stand-ins of legacy systems that speak the real protocols on loopback
"""
