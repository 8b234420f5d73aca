# SPDX-License-Identifier: GPL-2.0-only
# What gdb_vmm has gdb do to vhmrun, process @vhmrun@, again and again.
set pagination off
set confirm off
define round
  attach @vhmrun@
  printf "attached\n"
  info threads

  # each vCPU's thread comes by when its guest has something to say
  break vhm_vcpu_run
  continue
  info symbol $pc
  delete
  # not as far as the system call: the guest may be idle
  stepi 3
  printf "stepped\n"
  info registers rip rsp mxcsr
  detach
  shell usleep 300000
end
set $left = @times@
while $left--
  round
end
