#include "assay_kernels.h"
