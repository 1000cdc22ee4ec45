#define FASTGMM_TABLE table_generic
#define FASTGMM_ISA_NAME "generic"
#include "kernels.inl"
