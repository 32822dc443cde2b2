"""What docs/methods/ is written from: kept runs, ranks, the table of results, a method's page."""
