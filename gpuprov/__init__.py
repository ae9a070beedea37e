"""Infrastructure as code for a GPU award list: namespaces with quotas, and their timely end."""
