// Pins the nodeadm whose source tests/kubelet/test_nodeadm.py builds, with the two files below here
// added to it.
module nodeadm-of-the-tests

go 1.21

require github.com/awslabs/amazon-eks-ami/nodeadm v0.0.0-20240229193347-cfab22a10647
