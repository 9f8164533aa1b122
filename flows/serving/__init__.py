"""``stele serve``: the Prefect server, the registration of our deployments, and who watches over them."""
