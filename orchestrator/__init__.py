"""From a study to finished runs: plan, schedule on Ray, store, track in MLflow, compare, search with Optuna.

    commands > search | corpus > tracking | results | engine.on_ray > engine > stages > store > plan

A room imports only what stands to its right; ``make lint`` holds it to that.
"""
