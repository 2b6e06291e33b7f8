"""Videos, catalogues of videos, windows of frames and what is done to them on the device."""
