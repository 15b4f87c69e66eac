"""How anything is trained and judged: the one loop, model folders, splits by patient, simple baselines."""
