"""What docs/claims.md is written from: figures of runs, rules, tables, plots and words."""
