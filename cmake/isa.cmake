# With sanitizers the emulated registers, loops that inline into everything, take ten minutes to optimise.
if(HETORCH_SANITIZE)
  set_source_files_properties(cpp/kernels/avx512ifma_emulated.cpp PROPERTIES COMPILE_OPTIONS -O1)
endif()

# Each SIMD path is one translation unit with its own flags; kernels/dispatch.cpp chooses one at run time.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set_source_files_properties(cpp/kernels/avx2.cpp PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma")
  set_source_files_properties(cpp/kernels/avx512ifma.cpp cpp/kernels/avx512wide.cpp PROPERTIES COMPILE_OPTIONS
    "-mavx512f;-mavx512dq;-mavx512vl;-mavx512ifma;-mavx512vbmi")
  # GCC regroups u + (a - b) and u - (a - b) into five operations in place of three.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set_property(SOURCE cpp/kernels/avx512wide.cpp APPEND PROPERTY COMPILE_OPTIONS -fno-tree-reassoc)
  endif()
endif()
# The emulated registers are loops that inline into every pass: at -O3 the optimiser takes minutes, with sanitizers more
# than ten. Only tests run these paths, so -O1 is enough, and sanitizers check the same source on the real registers.
set(emulated cpp/kernels/avx512ifma_emulated.cpp cpp/kernels/avx512wide_emulated.cpp)
set_source_files_properties(${emulated} PROPERTIES COMPILE_OPTIONS -O1)
if(HETORCH_SANITIZE)
  set_property(SOURCE ${emulated} APPEND PROPERTY COMPILE_OPTIONS -fno-sanitize=all)
endif()
