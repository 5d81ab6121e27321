package kubelet

import "github.com/awslabs/amazon-eks-ami/nodeadm/internal/api"

// ConfigureCredentialProvider writes the kubelet's configuration of credential providers, and
// returns the kubelet's flags as the unit gets them.
func ConfigureCredentialProvider(cfg *api.NodeConfig) (string, error) {
	k := kubelet{environment: map[string]string{}, flags: map[string]string{}}
	if err := k.writeImageCredentialProviderConfig(cfg); err != nil {
		return "", err
	}
	if err := k.writeKubeletEnvironment(cfg); err != nil {
		return "", err
	}
	return k.environment[kubeletArgsEnvironmentName], nil
}
