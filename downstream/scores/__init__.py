"""What detectors say of videos, in time and in the picture; the files it is kept in; several detectors as one."""
