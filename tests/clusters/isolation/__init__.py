"""Ways around the quota and the isolation, tried as the tenant on real clusters with and without the chart."""
