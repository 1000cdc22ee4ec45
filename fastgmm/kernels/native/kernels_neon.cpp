#define FASTGMM_NEON
#define FASTGMM_TABLE table_neon
#define FASTGMM_ISA_NAME "neon"
#include "kernels.inl"
