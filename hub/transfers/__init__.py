# SPDX-License-Identifier: Apache-2.0
"""Large messages on their way in: announced, received piece by piece, taken.

model       how much may be under way
store       which containers are coming in
service     from the announcement to the outbox
upkeep      giving up what nobody sends any more
routes      over HTTP
"""

from hub.transfers.model import Position, TransferLimits, Upload
from hub.transfers.routes import upload_routes
from hub.transfers.service import Uploads
from hub.transfers.upkeep import UploadUpkeep

__all__ = ["Position", "TransferLimits", "Upload", "UploadUpkeep", "Uploads", "upload_routes"]
