# SPDX-License-Identifier: Apache-2.0
"""Legacy systems that exchange rows of a database.

adapter      answers questions by reading, or puts what arrives into a table
database     transactions that end in time, errors without values
connecting   how each engine is connected to
statements   what may stand in a description as a query
cells        a database's values as JSON, and back
settings     what the description says
"""

from adapters.tables.adapter import TableAdapter

__all__ = ["TableAdapter"]
