/tmp/lead/main/--help/userlib/vhmrun/cpus.o: \
 /tmp/lead/main/userlib/vhmrun/cpus.c \
 /tmp/lead/main/userlib/vhmrun/cpus.h \
 /tmp/lead/main/userlib/vhmrun/machine.h \
 /tmp/lead/main/userlib/include/libvhm.h \
 /tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h \
 /tmp/lead/main/userlib/vhmrun/../devices/bus.h \
 /tmp/lead/main/userlib/vhmrun/../devices/ioapic.h \
 /tmp/lead/main/userlib/vhmrun/../devices/bus.h \
 /tmp/lead/main/userlib/vhmrun/../devices/irq.h \
 /tmp/lead/main/userlib/vhmrun/../devices/power.h \
 /tmp/lead/main/userlib/vhmrun/../devices/rtc.h \
 /tmp/lead/main/userlib/vhmrun/console.h \
 /tmp/lead/main/userlib/vhmrun/../devices/uart.h \
 /tmp/lead/main/userlib/vhmrun/memory_map.h \
 /tmp/lead/main/userlib/vhmrun/options.h \
 /tmp/lead/main/userlib/vhmrun/cpuid.h \
 /tmp/lead/main/userlib/vhmrun/message.h \
 /tmp/lead/main/userlib/vhmrun/report.h
/tmp/lead/main/userlib/vhmrun/cpus.h:
/tmp/lead/main/userlib/vhmrun/machine.h:
/tmp/lead/main/userlib/include/libvhm.h:
/tmp/lead/main/userlib/../ioctl/uapi/linux/vhm.h:
/tmp/lead/main/userlib/vhmrun/../devices/bus.h:
/tmp/lead/main/userlib/vhmrun/../devices/ioapic.h:
/tmp/lead/main/userlib/vhmrun/../devices/bus.h:
/tmp/lead/main/userlib/vhmrun/../devices/irq.h:
/tmp/lead/main/userlib/vhmrun/../devices/power.h:
/tmp/lead/main/userlib/vhmrun/../devices/rtc.h:
/tmp/lead/main/userlib/vhmrun/console.h:
/tmp/lead/main/userlib/vhmrun/../devices/uart.h:
/tmp/lead/main/userlib/vhmrun/memory_map.h:
/tmp/lead/main/userlib/vhmrun/options.h:
/tmp/lead/main/userlib/vhmrun/cpuid.h:
/tmp/lead/main/userlib/vhmrun/message.h:
/tmp/lead/main/userlib/vhmrun/report.h:
