# SPDX-License-Identifier: Apache-2.0
"""Heliograph's centre: verify, authorise, log, route, receipt.

    errors identifiers clock contracts database problems settings yamlfile   words every slice shares
    accounts      people and systems that call
    trust         chains, revocation, time stamps, the trust list
    envelope      the ASiC-E container with its CAdES signature: pure, no IO
    documents     certificates as PDF: typesetting, sealing, verifying
    messagelog    Merkle tree, checkpoints, proofs
    registry      members, subsystems, services, access rights
    exchange      the pipeline every message passes, receipts, duplicates
    evidence      what a caseworker asks for, and the verification report
    app client cli demo   wiring

Each slice is used through its own front door only; who may know whom is checked by import-linter.
"""
