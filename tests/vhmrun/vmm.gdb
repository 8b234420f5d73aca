# SPDX-License-Identifier: GPL-2.0-only
# What gdb_vmm has gdb do to vhmrun, process @vhmrun@, again and again.
set pagination off
set confirm off
define round
  attach @vhmrun@
  set scheduler-locking step
  printf "attached\n"
  info threads

  # each vCPU's thread comes by when its guest has something to say
  break vhm_vcpu_run
  continue
  info symbol $pc
  delete
  stepi 30
  printf "stepped\n"

  # an address that moves: gdb steps and looks
  watch *(long *)($sp - 8)
  continue
  printf "watched\n"
  delete
  info registers rip rsp mxcsr
  detach
  shell usleep 300000
end
set $left = @times@
while $left--
  round
end
