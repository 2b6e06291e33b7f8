"""A trained detector at work: new videos, folders, cameras; events, alarms, calibration, packages."""
