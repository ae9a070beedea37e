"""Compares gpuprov with kubectl, Helm, Terraform and plain Pulumi, side by side, on the same tenants."""
