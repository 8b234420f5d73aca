/tmp/h-pv/main/--help/userlib/vhmrun/cpus.o: \
 /tmp/h-pv/main/userlib/vhmrun/cpus.c \
 /tmp/h-pv/main/userlib/vhmrun/cpus.h \
 /tmp/h-pv/main/userlib/vhmrun/machine.h \
 /tmp/h-pv/main/userlib/include/libvhm.h \
 /tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h \
 /tmp/h-pv/main/userlib/vhmrun/../devices/bus.h \
 /tmp/h-pv/main/userlib/vhmrun/../devices/ioapic.h \
 /tmp/h-pv/main/userlib/vhmrun/../devices/bus.h \
 /tmp/h-pv/main/userlib/vhmrun/../devices/irq.h \
 /tmp/h-pv/main/userlib/vhmrun/../devices/power.h \
 /tmp/h-pv/main/userlib/vhmrun/../devices/rtc.h \
 /tmp/h-pv/main/userlib/vhmrun/console.h \
 /tmp/h-pv/main/userlib/vhmrun/../devices/uart.h \
 /tmp/h-pv/main/userlib/vhmrun/memory_map.h \
 /tmp/h-pv/main/userlib/vhmrun/options.h \
 /tmp/h-pv/main/userlib/vhmrun/cpuid.h \
 /tmp/h-pv/main/userlib/vhmrun/gdb.h \
 /tmp/h-pv/main/userlib/vhmrun/message.h \
 /tmp/h-pv/main/userlib/vhmrun/report.h
/tmp/h-pv/main/userlib/vhmrun/cpus.h:
/tmp/h-pv/main/userlib/vhmrun/machine.h:
/tmp/h-pv/main/userlib/include/libvhm.h:
/tmp/h-pv/main/userlib/../ioctl/uapi/linux/vhm.h:
/tmp/h-pv/main/userlib/vhmrun/../devices/bus.h:
/tmp/h-pv/main/userlib/vhmrun/../devices/ioapic.h:
/tmp/h-pv/main/userlib/vhmrun/../devices/bus.h:
/tmp/h-pv/main/userlib/vhmrun/../devices/irq.h:
/tmp/h-pv/main/userlib/vhmrun/../devices/power.h:
/tmp/h-pv/main/userlib/vhmrun/../devices/rtc.h:
/tmp/h-pv/main/userlib/vhmrun/console.h:
/tmp/h-pv/main/userlib/vhmrun/../devices/uart.h:
/tmp/h-pv/main/userlib/vhmrun/memory_map.h:
/tmp/h-pv/main/userlib/vhmrun/options.h:
/tmp/h-pv/main/userlib/vhmrun/cpuid.h:
/tmp/h-pv/main/userlib/vhmrun/gdb.h:
/tmp/h-pv/main/userlib/vhmrun/message.h:
/tmp/h-pv/main/userlib/vhmrun/report.h:
