# SPDX-License-Identifier: Apache-2.0
"""Legacy systems that exchange rows of a database.

adapter      answers questions by reading, or puts what arrives into a table
intake       sends a table's rows, each once, and writes back what became of them
sending      the table an intake takes rows from; taken: what it remembers of them
database     transactions that end in time, errors without values
connecting   how each engine is connected to
statements   what may stand in a description as a query
cells        a database's values as JSON, and back
reflection   a database as a source: its tables and what can be asked of each
settings     what the description says; intakesettings: of a table whose rows are sent
"""

from adapters.tables.adapter import TableAdapter
from adapters.tables.intake import TableIntake
from adapters.tables.reflection import read_table

__all__ = ["TableAdapter", "TableIntake", "read_table"]
