# SPDX-License-Identifier: GPL-2.0-only
# What gdb_session has gdb do; @name@ is an address of the guest's kernel.
set pagination off
set confirm off
set architecture i386:x86-64
set remotetimeout 60
target remote @target@
printf "attached at %#lx, cr0 %#lx\n", $rip, $cr0
info threads

hbreak *@start_kernel@
continue
printf "hardware breakpoint at %#lx\n", $rip
delete
stepi
printf "stepped to %#lx\n", $rip
stepi 20
printf "memory: %s\n", (char *)@linux_banner@
printf "cr3 %#lx efer %#lx gs_base %#lx\n", $cr3, $efer, $gs_base

# behind the call of a traced function, whose bytes the kernel itself looks at
set $first_byte = *(unsigned char *)(@rest_init@ + 5)
break *(@rest_init@ + 5)
continue
printf "software breakpoint at %#lx + 5\n", $rip - 5
if *(unsigned char *)(@rest_init@ + 5) == $first_byte
  printf "the guest's code is as it was\n"
end
set $kept = $r15
set $r15 = 0x123456789abcdef0
printf "r15 %#lx\n", $r15
set $r15 = $kept
set $kept = *(long *)($rsp - 512)
set *(long *)($rsp - 512) = 0x5566778899aabbcc
printf "stack %#lx\n", *(long *)($rsp - 512)
set *(long *)($rsp - 512) = $kept
info registers rip eflags cs xmm0 mxcsr
delete

watch *(long *)@jiffies_64@
continue
printf "watched\n"
delete

# not traced
break *@start_secondary@
continue
printf "second CPU at %#lx\n", $rip
info threads
thread 1
printf "first CPU at %#lx\n", $rip
delete

# both run this one: over it again and again, whoever comes
break *(@schedule@ + 5)
continue
continue
continue
printf "scheduled at %#lx + 5\n", $rip - 5
delete
continue
