// What nodeadm does about credential providers at a boot, and nothing else of it.
//
// Usage: credential-provider [FLAG...] > flags.json
//
// The flags are those of the NodeConfig, spec.kubelet.flags.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/awslabs/amazon-eks-ami/nodeadm/internal/api"
	"github.com/awslabs/amazon-eks-ami/nodeadm/internal/kubelet"
)

func main() {
	var cfg api.NodeConfig
	cfg.Spec.Kubelet.Flags = os.Args[1:]
	flags, err := kubelet.ConfigureCredentialProvider(&cfg)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(strings.Fields(flags))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
