# SPDX-License-Identifier: Apache-2.0
"""Legacy systems that exchange files: a request file in, an answer file with its `.sha256` out.

adapter    drops the request, waits for the answer, maps it, archives it
settings   what the description says about server, folders and file formats
connecting    pinned host keys, sign-in
session    one SFTP session: atomic publishing, reading only finished files, going on after a cut
protocol   the protocol itself, with many requests under way
"""

from adapters.sftp.adapter import SftpAdapter

__all__ = ["SftpAdapter"]
