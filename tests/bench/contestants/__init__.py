"""Who is compared: mounts, programs that download before they load, and ceilings."""

from contestants import absent, ceilings, downloads, mountpoint, mounts

ALL = [*mounts.ALL, *mountpoint.ALL, *downloads.ALL, *ceilings.ALL]
ABSENT = absent.WHY
