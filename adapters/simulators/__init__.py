# SPDX-License-Identifier: Apache-2.0
"""Stand-ins of what stands around the hub: they speak the real protocols on loopback. Never for production.

pki          the development PKI
population   invented people and companies, shared by the three systems below
soap         the labour bureau's employment file: SOAP 1.1 and 1.2
rest         the register of disability certificates: JSON over HTTP, API key
sftp         the social insurance bureau's monthly files: an SFTP server and a batch job
misbehaviour what they can be told to do wrong
serving      all three in one process: `python -m adapters.simulators`
"""
