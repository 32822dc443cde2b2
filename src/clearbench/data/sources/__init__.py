"""One file per dataset source."""
