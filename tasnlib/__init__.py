"""TASN, the Trilinear Attention Sampling Network (Zheng, Fu, Zha, Luo, CVPR 2019), in PyTorch."""
