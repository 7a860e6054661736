"""From a study to finished runs: plan, cost, schedule on Ray, store, tracking, tables."""
