// The Kubernetes plugin of Pulumi as a program of its own: the module's own main package cannot be built as it is,
// because the two files that it embeds are made by its release. Here the installer makes them.
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
)

// version is set at link time, from the same pin as the schema's version.
var version string

//go:embed schema-embed.json
var packageSchema []byte

//go:embed terraform-mapping-embed.json
var terraformNames []byte

func main() {
	provider.Serve("kubernetes", version, packageSchema, terraformNames)
}
